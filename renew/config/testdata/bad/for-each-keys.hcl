issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "site" {
  for_each = { a = "a.example", "B c" = "b.example" }
  names    = [each.value, each.valu]
}
certificate "site-a" {
  names = ["example.com"]
}
