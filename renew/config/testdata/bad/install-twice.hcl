issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "www" {
  names = ["example.com"]
  install "pem" {
    fullchain = "/etc/tls/www.crt"
    key       = "/etc/tls/www.crt"
  }
}
certificate "two" {
  names = ["example.org"]
  install "pem" {
    key = "/etc/tls/www.crt"
  }
}
