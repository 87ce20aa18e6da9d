# Every argument of the language once.
agent {
  state_dir = "/srv/certvigil"
  socket    = "/run/cv/control.sock"
  listen    = "127.0.0.1:9433"
  resolver  = "::1"
}

issuer "letsencrypt" {
  directory   = "letsencrypt"
  contact     = ["ops@example.com", "mailto:night@example.com"]
  agree_terms = true
  profile     = "tlsserver"
}

issuer "google" {
  directory   = "https://dv.acme-v02.api.pki.goog/directory"
  contact     = split(",", trimspace(file("contacts.txt")))
  agree_terms = true
  eab {
    key_id   = "kid-1"
    hmac_key = credential("google-eab")
  }
}

issuer "internal" {
  directory   = "https://ca.internal/acme/acme/directory"
  agree_terms = true
  trust_roots = "root.pem"
  http_port   = 5002
  eab {
    key_id   = "kid-2"
    hmac_key = trimspace(file("eab.secret"))
  }
}

issuer "internal.2" {
  directory   = "https://ca.internal:8443/acme?x=1"
  agree_terms = true
  eab {
    key_id   = "kid-3"
    hmac_key = env("CERTVIGIL_TEST_EAB")
  }
}

solver "http" "main" {}
solver "http" "alt" { listen = ["127.0.0.1:8080", "[::1]:8080"] }
solver "webroot" "site" { path = "/tmp" }

certificate "www" {
  names   = ["WWW.Example.com.", "bücher.example", "2001:DB8::1", local.extra]
  issuers = [issuer.letsencrypt, issuer["internal.2"]]
  solver  = solver.http.main

  on_change = "restore"
  rescue  = false

  key {
    type  = "rsa3072"
    reuse = true
  }
  renew {
    lifetime_left = "33%"
    ari           = false
    window        = "Mon-Fri 02:00-05:00, Sat 22:00-04:00"
    window_zone   = "Europe/Berlin"
  }
  install "pem" {
    fullchain = "/etc/nginx/tls/www.crt"
    cert      = "/etc/nginx/tls/www.leaf"
    chain     = "/etc/nginx/tls/www.chain"
    key       = "/etc/nginx/tls/www.key"
    owner     = "root"
    group     = "www-data"
    mode      = "0640"
  }
  install "pem" {
    fullchain = "/etc/nginx/tls/public.crt"
    mode      = "644"
  }
  install "pem" {
    directory = "/etc/tls/www"
  }
  install "bundle" {
    path = "/etc/haproxy/certs/www.pem"
    acl  = ["u:haproxy:r", "g:ssl-cert:r"]
  }
  install "bundle" {
    path  = "/etc/lighttpd/www.pem"
    parts = ["cert", "key", "chain"]
  }
  install "pkcs12" {
    path     = "/etc/jetty/www.p12"
    password = credential("store-password")
  }
  install "pkcs12" {
    path     = "/etc/old/www.p12"
    password = trimspace(credential("store-password"))
    encoding = "legacy"
  }
  install "jks" {
    path     = "/etc/tomcat/www.jks"
    password = credential("store-password")
    owner    = "tomcat"
  }
  install "jks" {
    path     = "/etc/tomcat/other.jks"
    password = credential("store-password")
    alias    = "tomcat"
  }
  install "der" {
    cert = "/etc/x/www.crt.der"
    key  = "/etc/x/www.key.der"
  }
  hooks = [hook.nginx, hook.pid]
  endpoint "127.0.0.1:443" {}
  endpoint "[::1]:8443" {
    protocol = "tls"
    names    = ["www.example.COM"]
  }
  endpoint "[::1]:8443" {
    sni            = false
    proxy_protocol = 2
    alpn           = ["h2", "http/1.1"]
    trust_roots    = "root.pem"
    hooks          = [hook.pid]
  }
  endpoint "unix:/run/imap.sock" { protocol = "imap" }
}

certificate "site" {
  for_each = local.sites
  names    = [each.value, "www.${each.value}"]
  issuers  = [issuer.google]
  solver   = solver.webroot.site
}

certificate "file" {
  for_each = fileset("sites", "*.json")
  names    = jsondecode(file("sites/${each.key}")).names
  issuers  = [issuer.internal]
  solver   = solver.webroot.site
}

certificate "set" {
  for_each = toset(["b.example", "a.example"])
  names    = ["${each.key}.org", each.value]
  issuers  = [issuer.internal]
  solver   = solver.webroot.site
}

hook "nginx" {
  test    = ["nginx", "-t"]
  timeout = "1m30s"
  each    = true
  reload {
    unit        = "nginx.service"
    try_restart = true
  }
}

hook "pid" {
  window      = "Mon-Fri 02:00-05:00, Sat 22:00-04:00"
  window_zone = "Europe/Berlin"
  test { unit = "certvigil-test.service" }
  reload {
    pid_file = "/run/haproxy.pid"
    signal   = "SIGUSR2"
    process  = "/usr/sbin/haproxy"
  }
}

hook "api" {
  reload {
    haproxy     = "/run/haproxy/admin.sock"
    certificate = "@site/www.pem"
  }
}

hook "argv" {
  reload { command = ["/usr/sbin/nginx", "-s", "reload"] }
}

locals {
  domain = "example.org"
  extra  = "extra.${local.domain}"
  sites  = { shop = "shop.example", blog = local.domain }
}
