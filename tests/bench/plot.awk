# Rows per second of a race (see race.sh) as an SVG: a group of bars for each
# feed in small chunks, on a logarithmic scale, since the clients differ by two
# orders of magnitude.

function median(text,    n, i, j, t, v) {
  n = split(text, v, " ")
  for (i = 2; i <= n; i++)
    for (j = i; j > 1 && v[j - 1] + 0 > v[j] + 0; j--) {
      t = v[j]; v[j] = v[j - 1]; v[j - 1] = t
    }
  return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}

function text(x, y, anchor, what) {
  printf "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"%s\">%s</text>\n", x, y,
    anchor, what
}

$2 == "1490" {
  key = $1 " " $3
  if (!($1 in clients)) feed[++feeds] = $1
  if (!(key in rows)) clients[$1] = clients[$1] " " $3
  rows[key] = $4
  seconds[key] = seconds[key] " " $6
}

END {
  title["a"] = "a: rows without documents"
  title["b"] = "b: documents of 500 bytes"
  title["c"] = "c: documents of 10 KB"
  title["d"] = "d: one row of 64 MiB among 200"
  left = 140; wide = 420; line = 18; y = 30
  for (i = 1; i <= feeds; i++)
    height += (split(clients[feed[i]], name, " ") + 2) * line
  printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" " \
    "height=\"%d\" font-family=\"sans-serif\" font-size=\"12\">\n",
    left + wide + 110, height + 40
  print "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
  text(10, 18, "start", "Rows per second, a decade for each tenfold")
  for (i = 1; i <= feeds; i++) {
    y += line
    text(10, y + 6, "start", title[feed[i]])
    n = split(clients[feed[i]], name, " ")
    low = 1e30; high = 0
    for (j = 1; j <= n; j++) {
      speed[j] = rows[feed[i] " " name[j]] / median(seconds[feed[i] " " name[j]])
      if (speed[j] < low) low = speed[j]
      if (speed[j] > high) high = speed[j]
    }
    # From the decade below the slowest.
    base = log(low) / log(10)
    base = int(base) - (base < int(base))
    span = log(high) / log(10) - base
    for (j = 1; j <= n; j++) {
      y += line
      bar = span > 0 ? wide * (log(speed[j]) / log(10) - base) / span : wide
      printf "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" " \
        "fill=\"%s\"/>\n", left, y - 4, bar, line - 4,
        name[j] ~ /^library/ ? "#c0392b" : \
        name[j] ~ /^(libcurl|curl)$/ ? "#7f8c8d" : "#2980b9"
      text(left - 6, y + 7, "end", name[j])
      text(left + bar + 6, y + 7, "start",
        speed[j] >= 1e6 ? sprintf("%.2f M", speed[j] / 1e6) : \
        speed[j] >= 1e3 ? sprintf("%.1f k", speed[j] / 1e3) : \
        sprintf("%.0f", speed[j]))
    }
    y += line
  }
  print "</svg>"
}
