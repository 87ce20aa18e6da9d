issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "www" {
  names = ["a.example", "b.example"]
}
certificate "two" {
  names = ["B.example", "a.example."]
}
certificate "rsa" {
  names = ["a.example", "b.example"]
  key { type = "rsa2048" }
}
