issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
hook "mail" { reload = ["true"] }
certificate "www" {
  names = ["example.com", "www.example.com"]
  endpoint "127.0.0.1" {}
  endpoint ":443" {}
  endpoint "https://example.com:443" {}
  endpoint "::1:443" {}
  endpoint "127.0.0.1:0" {}
  endpoint "127.0.0.1:443" {
    protocol = "smpt"
    names    = ["ww.example.com", "www.example.com:443", "WWW.example.com", "www.example.com"]
  }
  endpoint "127.0.0.1:443" {}
  endpoint "127.0.0.1:444" {
    names = []
  }
  endpoint "127.0.0.1:445" {
    sni            = false
    protocol       = "https"
    names          = ["www.example.com"]
    proxy_protocol = 3
    alpn           = []
    trust_roots    = "key.pem"
  }
  endpoint "127.0.0.1:5222" {
    sni            = false
    protocol       = "xmpp"
    proxy_protocol = "1"
    alpn           = ["h2", "h2"]
    trust_root     = "open.txt"
  }
  endpoint "unix:run/x.sock" { protocol = "imaps" }
  endpoint "unix:/run/y.sock" { protocol = "gopher" }
  endpoint "unix:/run/../x.sock" { sni = 0 }
  endpoint "127.0.0.1:446" { hooks = [] }
  endpoint "127.0.0.1:447" { hooks = [hook.mail] }
}
