issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "dns" "zone" {
  provider    = "cloudflare"
  credentials = { CLOUDFLARE_DNS_API_TOKEN = "aHVudGVyMg" }
}
solver "tls-alpn" "main" { listen = [":443"] }
solver "http" "main" {}
certificate "www" {
  names     = ["example.com"]
  solver    = solver.dns.zone
  solve "*.example.com" { solver = solver.dns.zone }
}
watch "partners" {}
alert "ops" {}
heartbeat "cron" {}
