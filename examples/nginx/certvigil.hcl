# /etc/certvigil/conf.d/www.hcl: one site of one nginx.

issuer "letsencrypt" {
  directory   = "letsencrypt"
  contact     = ["hostmaster@example.com"]
  agree_terms = true
}

# nginx has port 80 and passes the CA's requests on to this address: http.conf.
solver "http" "main" {
  listen = ["127.0.0.1:8402"]
}

certificate "www" {
  names = ["example.com", "www.example.com"]
  hooks = [hook.nginx]
  endpoint "127.0.0.1:443" {}
}

# Units that systemd runs: the agent itself is not root.
hook "nginx" {
  test { unit = "certvigil-nginx-test.service" }
  reload { unit = "nginx.service" }
}
