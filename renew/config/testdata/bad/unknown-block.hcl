certificat "www" {}
backend "etcd" {}
issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "www" {
  names = ["example.com"]
  endpont "127.0.0.1:443" {}
}
