# /etc/certvigil/conf.d/db.hcl: what PostgreSQL shows to clients on other hosts.

issuer "letsencrypt" {
  directory   = "letsencrypt"
  contact     = ["hostmaster@example.com"]
  agree_terms = true
}

# Nothing else has port 80 on this host. Where a web server has it, see examples/nginx and examples/apache.
solver "http" "main" {}

certificate "db" {
  names = ["db.example.com"]
  hooks = [hook.postgresql]

  # PostgreSQL takes no key that others than its own user may read.
  install "pem" {
    fullchain = "/etc/postgresql/tls/db.crt"
    key       = "/etc/postgresql/tls/db.key"
    owner     = "postgres"
    mode      = "0600"
  }
  endpoint "127.0.0.1:5432" {
    protocol = "postgres"
  }
}

# Debian passes the reload on to every cluster.
hook "postgresql" {
  reload { unit = "postgresql.service" }
}
