issuer "Let's Encrypt" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "-x" {}
certificate "../etc" {
  names = ["example.com"]
}
