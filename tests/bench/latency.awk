# Medians of the lines "late|again CLIENT ROWS P50 P99" as a table.

function median(text,    n, i, j, t, v) {
  n = split(text, v, " ")
  for (i = 2; i <= n; i++)
    for (j = i; j > 1 && v[j - 1] + 0 > v[j] + 0; j--) {
      t = v[j]; v[j] = v[j - 1]; v[j - 1] = t
    }
  return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}

NF == 5 {
  if (!($2 in seen)) name[++names] = $2
  seen[$2] = 1
  all[$1 " 50 " $2] = all[$1 " 50 " $2] " " $4
  all[$1 " 99 " $2] = all[$1 " 99 " $2] " " $5
}

END {
  print "| client | p50 us | p99 us | p50, x libcurl | p99, x libcurl |" \
    " again: p50 us | p99 us |"
  print "|---|---:|---:|---:|---:|---:|---:|"
  for (i = 1; i <= names; i++) {
    n = name[i]
    p = median(all["late 50 " n]); q = median(all["late 99 " n])
    printf "| %s | %.1f | %.1f | %s | %s | %.0f | %.0f |\n", n, p, q,
      "libcurl" in seen ? sprintf("%.2f", p / median(all["late 50 libcurl"])) : "",
      "libcurl" in seen ? sprintf("%.2f", q / median(all["late 99 libcurl"])) : "",
      median(all["again 50 " n]), median(all["again 99 " n])
  }
}
