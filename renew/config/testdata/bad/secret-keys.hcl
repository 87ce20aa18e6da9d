issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "site" {
  for_each = toset([env("CERTVIGIL_TEST_SECRET")])
  names    = [each.key]
}
