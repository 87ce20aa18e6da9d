issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
solver "http" "alt" {
  listen = [":8080"]
}
certificate "www" {
  names = ["example.com"]
}
