issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "www" {
  names = ["example.com"]
  install "pem" {
    key = "/etc/tls/0.key"
    acl = ["haproxy", "u:haproxy:rw", "o::r", "u:a b:r", "u::r"]
  }
  install "pem" {
    key = "/etc/tls/1.key"
    acl = []
  }
  install "der" {
    key = "/etc/tls/2.key"
    acl = ["u:haproxy:r", "u:haproxy:r"]
  }
  install "der" {
    cert = "/etc/tls/3.crt"
    acl  = "u:haproxy:r"
  }
}
