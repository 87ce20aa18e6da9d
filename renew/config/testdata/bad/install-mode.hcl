issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "www" {
  names = ["example.com"]
  install "pem" {
    key  = "/etc/tls/0"
    mode = "0644"
  }
  install "pem" {
    key  = "/etc/tls/1"
    mode = "0750"
  }
  install "pem" {
    key  = "/etc/tls/2"
    mode = "0662"
  }
  install "pem" {
    key  = "/etc/tls/3"
    mode = "rw-r-----"
  }
  install "pem" {
    key  = "/etc/tls/4"
    mode = 640
  }
  install "pem" {
    key  = "/etc/tls/5"
    mode = "0040"
  }
  install "pem" {
    key  = "/etc/tls/6"
    mode = "4600"
  }
  install "pem" {
    key  = "/etc/tls/7"
    mode = "99"
  }
  install "pem" {
    key  = "/etc/tls/8"
    mode = "8"
  }
}
