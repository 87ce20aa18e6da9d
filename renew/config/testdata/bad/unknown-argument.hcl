issuer "le" {
  directory   = "letsencrypt"
  agree_term = true
}
solver "http" "main" {}
certificate "www" {
  names = ["example.com"]
  color = "red"
}
