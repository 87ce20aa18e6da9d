issuer {
  directory = "letsencrypt"
}
solver "http" {}
agent "x" {}
certificate "www" {
  names = ["example.com"]
  install {}
}
