issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "site" {
  for_each = toset(["a", "b"])
  names    = ["example.com"]
  install "pem" {
    key = "/etc/tls/site.key"
  }
}
