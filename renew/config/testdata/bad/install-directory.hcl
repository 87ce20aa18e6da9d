issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "www" {
  names = ["example.com"]
  install "pem" {
    directory = "/etc/tls/a"
    key       = "/etc/tls/a.key"
  }
  install "pem" {
    fullchain = "/etc/tls/a/fullchain.pem"
  }
  install "bundle" {
    path = "/etc/tls/b/www.pem"
  }
  install "pem" {
    directory = "/etc/tls/b"
  }
  install "pem" {
    directory = "/etc/tls/a"
  }
  install "pem" {
    directory = "/etc/tls/a/inner"
  }
  install "bundle" {
    path = "/etc/tls/a"
  }
  install "pem" {
    directory = "tls"
    mode      = "0644"
  }
  install "pem" {
    directory = "/var/lib/certvigil/live/www"
  }
}
