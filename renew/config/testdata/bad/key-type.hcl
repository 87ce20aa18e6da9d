issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "www" {
  names = ["example.com"]
  key {
    type  = "ec265"
    reuse = "no"
  }
}
