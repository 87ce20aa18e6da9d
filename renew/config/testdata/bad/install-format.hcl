issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "www" {
  names = ["example.com"]
  install "pkcs" {
    path = "/etc/tls/0"
  }
  install "haproxy" {
    path = "/etc/tls/1"
  }
  install "der" {
    fullchain = "/etc/tls/2"
  }
  install "der" {
    owner = "root"
  }
  install "der" {
    key  = "/etc/tls/3"
    mode = "0644"
  }
}
