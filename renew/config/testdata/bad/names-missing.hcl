issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "www" {
}
certificate "b" {
  names = []
}
certificate "c" {
  names = "example.com"
}
certificate "d" {
  names = null
}
certificate "e" {
  nmaes = ["example.com"]
}
certificate "f" {
  names = { a = 1 }
}
