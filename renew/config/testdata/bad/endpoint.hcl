issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "www" {
  names = ["example.com", "www.example.com"]
  endpoint "127.0.0.1" {}
  endpoint ":443" {}
  endpoint "https://example.com:443" {}
  endpoint "::1:443" {}
  endpoint "127.0.0.1:0" {}
  endpoint "127.0.0.1:443" {
    protocol = "smtp"
    names    = ["ww.example.com", "www.example.com:443", "WWW.example.com", "www.example.com"]
  }
  endpoint "127.0.0.1:443" {}
  endpoint "127.0.0.1:444" {
    names = []
  }
}
