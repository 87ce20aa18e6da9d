issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "www" {
  names = ["www.example.com"]
  endpoint "auto" {
    protocol = "smtp"
    names    = ["www.example.com"]
    port     = 443
  }
  endpoint "auto" {}
  endpoint "Auto" {}
}
