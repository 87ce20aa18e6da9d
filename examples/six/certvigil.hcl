# /etc/certvigil/conf.d/all.hcl: one certificate for everything that a host serves.

issuer "letsencrypt" {
  directory   = "letsencrypt"
  contact     = ["hostmaster@example.com"]
  agree_terms = true
}

# nginx has port 80 and passes the CA's requests on to this address: examples/nginx.
solver "http" "main" {
  listen = ["127.0.0.1:8402"]
}

certificate "all" {
  names = ["example.com", "mail.example.com", "db.example.com"]
  hooks = [hook.nginx, hook.apache, hook.haproxy, hook.postfix, hook.dovecot, hook.postgresql]

  install "bundle" {
    path = "/etc/haproxy/certs/www.pem"
  }
  install "pem" {
    fullchain = "/etc/postgresql/tls/db.crt"
    key       = "/etc/postgresql/tls/db.key"
    owner     = "postgres"
    mode      = "0600"
  }

  endpoint "127.0.0.1:443" {
    names = ["example.com"]
    hooks = [hook.nginx]
  }
  endpoint "127.0.0.1:8443" {
    names = ["example.com"]
    hooks = [hook.apache]
  }
  endpoint "127.0.0.1:9443" {
    names = ["example.com"]
    hooks = [hook.haproxy]
  }
  endpoint "127.0.0.1:25" {
    protocol = "smtp"
    names    = ["mail.example.com"]
    hooks    = [hook.postfix]
  }
  endpoint "127.0.0.1:587" {
    protocol = "submission"
    names    = ["mail.example.com"]
    hooks    = [hook.postfix]
  }
  endpoint "127.0.0.1:143" {
    protocol = "imap"
    names    = ["mail.example.com"]
    hooks    = [hook.dovecot]
  }
  endpoint "127.0.0.1:993" {
    names = ["mail.example.com"]
    hooks = [hook.dovecot]
  }
  endpoint "127.0.0.1:110" {
    protocol = "pop3"
    names    = ["mail.example.com"]
    hooks    = [hook.dovecot]
  }
  endpoint "127.0.0.1:5432" {
    protocol = "postgres"
    names    = ["db.example.com"]
    hooks    = [hook.postgresql]
  }
}

hook "nginx" {
  reload { unit = "nginx.service" }
}
hook "apache" {
  reload { unit = "apache2.service" }
}
hook "haproxy" {
  reload { unit = "haproxy.service" }
}
hook "postfix" {
  reload { unit = "postfix.service" }
}
hook "dovecot" {
  reload { unit = "dovecot.service" }
}
hook "postgresql" {
  reload { unit = "postgresql.service" }
}
