# Medians of a race (see race.sh), as tables in Markdown.

function median(key,    n, i, j, t, v) {
  n = split(all[key], v, " ")
  for (i = 2; i <= n; i++)
    for (j = i; j > 1 && v[j - 1] + 0 > v[j] + 0; j--) {
      t = v[j]; v[j] = v[j - 1]; v[j - 1] = t
    }
  return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}

function follower(name) {
  return name !~ /^(library|library-batch|libcurl|curl)$/
}

{
  race = $1 " " $2
  key = race " " $3
  if (!(race in clients)) order[++races] = race
  if (!(key in rows)) clients[race] = clients[race] " " $3
  rows[key] = $4
  bytes[key] = $5
  all[key " s"] = all[key " s"] " " $6
  all[key " c"] = all[key " c"] " " $7
  all[key " m"] = all[key " m"] " " $8
}

END {
  print "| feed | chunk | client | 1000 rows/s | MB/s | CPU s per M rows |" \
    " peak MB | of the wire | CPU, x wire | x best follower |"
  print "|---|---:|---|---:|---:|---:|---:|---:|---:|---:|"
  for (r = 1; r <= races; r++) {
    race = order[r]
    n = split(clients[race], name, " ")
    wire = race " libcurl"
    best = 0
    split(race, part, " ")
    # What the followers read is the feed in small chunks.
    m = split(clients[part[1] " 1490"], other, " ")
    for (i = 1; i <= m; i++) {
      k = part[1] " 1490 " other[i]
      if (follower(other[i]) && rows[k] / median(k " s") > best)
        best = rows[k] / median(k " s")
    }
    for (i = 1; i <= n; i++) {
      k = race " " name[i]
      speed = rows[k] / median(k " s")
      cpu = median(k " c")
      printf "| %s | %s | %s | %.1f | %.0f | %.3f | %.0f | %s | %s | %s |\n",
        part[1], part[2], name[i], speed / 1e3,
        bytes[k] / median(k " s") / 1e6, cpu / rows[k] * 1e6,
        median(k " m"),
        wire in rows ? sprintf("%.3g", median(wire " s") / median(k " s")) : "",
        wire in rows ? sprintf("%.3g", cpu / median(wire " c")) : "",
        (best > 0 ? sprintf("%.3g", speed / best) : "")
    }
  }
}
