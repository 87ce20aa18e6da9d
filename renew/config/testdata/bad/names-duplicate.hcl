issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "www" {
  names = ["example.com", "EXAMPLE.com.", "b.example", "b.example", "bücher.example", "xn--bcher-kva.example", "::1", "0:0::1"]
}
