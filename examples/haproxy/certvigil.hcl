# /etc/certvigil/conf.d/www.hcl: one site behind one HAProxy.

issuer "letsencrypt" {
  directory   = "letsencrypt"
  contact     = ["hostmaster@example.com"]
  agree_terms = true
}

# HAProxy has port 80 and passes the CA's requests on to this address: http.cfg.
solver "http" "main" {
  listen = ["127.0.0.1:8402"]
}

certificate "www" {
  names = ["example.com", "www.example.com"]
  hooks = [hook.haproxy]
  endpoint "127.0.0.1:443" {}

  install "bundle" {
    path = "/etc/haproxy/certs/www.pem"
  }
}

# Its reload tests the configuration first; connections are not cut.
hook "haproxy" {
  reload { unit = "haproxy.service" }
}
