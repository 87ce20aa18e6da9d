issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "a" {
  for_each = ["x"]
  names    = [each.key]
}
certificate "b" {
  for_each = "x"
  names    = [each.key]
}
certificate "c" {
  for_each = toset([{ a = 1 }])
  names    = ["example.com"]
}
certificate "d" {
  for_each = { x = each.key }
  names    = ["example.com"]
}
