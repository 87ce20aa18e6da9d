issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "www" {
  names = ["example.com"]
  install "bundle" {
    path  = "/etc/tls/0.pem"
    parts = ["cert", "chain"]
  }
  install "bundle" {
    path  = "/etc/tls/1.pem"
    parts = ["key", "fulchain"]
  }
  install "bundle" {
    path  = "/etc/tls/2.pem"
    parts = ["key", "cert", "fullchain"]
  }
  install "bundle" {
    path  = "/etc/tls/3.pem"
    parts = ["key", "chain", "fullchain"]
  }
  install "bundle" {
    path  = "/etc/tls/4.pem"
    parts = ["key", "chain"]
  }
  install "bundle" {
    path  = "/etc/tls/5.pem"
    parts = ["key", "key", "fullchain"]
  }
  install "bundle" {
    path  = "/etc/tls/6.pem"
    parts = "key"
  }
  install "bundle" {
    parts = ["key", "fullchain"]
  }
  install "bundle" {
    path     = "/etc/tls/7.pem"
    key      = "/etc/tls/7.key"
    password = "hunter2"
    mode     = "0644"
  }
}
