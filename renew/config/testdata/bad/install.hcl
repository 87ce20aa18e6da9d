issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "www" {
  names = ["example.com"]
  install "pem" {
    fullchain = "tls/www.crt"
    cert      = "/etc/tls/../www.crt"
    chain     = "/var/lib/certvigil/chain.pem"
    key       = "/"
    owner     = "a b"
    group     = "-x"
  }
  install "pem" {
    owner = "root"
  }
}
