# certvigil: what this agent keeps from lapsing. As installed it guards nothing
# and runs idle. Further files are read from /etc/certvigil/conf.d/*.hcl.
#
#   certvigil validate            says whether these files are usable
#   certvigil plan                says what would be done, when and why
#   systemctl reload certvigil    takes a change over; a file with an error in it
#                                 leaves what runs in force, and the journal and
#                                 `certvigil status` say so
#   certvigil status              says where every certificate is
#
# Below is a whole configuration for nginx. Remove the "#" in front of its
# lines, and put your own names and mail address in.

# Who issues the certificates. "letsencrypt" is a well-known name; any other CA
# that speaks ACME is named by the https URL of its directory.
#issuer "letsencrypt" {
#  directory   = "letsencrypt"
#  contact     = ["hostmaster@example.com"]
#  agree_terms = true
#}

# How the CA sees that the names are this host's. Where nothing else has port 80,
# systemd holds it for the agent, once it is told to:
#     systemctl enable certvigil-http.socket && systemctl restart certvigil
#solver "http" "main" {}
# Where nginx has port 80, let it pass the CA's requests on instead: to
# solver "http" "main" { listen = ["127.0.0.1:8402"] } by
#     location /.well-known/acme-challenge/ { proxy_pass http://127.0.0.1:8402; }

# How nginx is told. Both units are run by systemd, and polkit allows the agent
# this and no more: /usr/share/polkit-1/rules.d/50-certvigil.rules.
#hook "nginx" {
#  test   { unit = "certvigil-nginx-test.service" }
#  reload { unit = "nginx.service" }
#}

# One certificate. Its pair is always at /var/lib/certvigil/live/www/; in nginx:
#     ssl_certificate     /var/lib/certvigil/live/www/fullchain.pem;
#     ssl_certificate_key /var/lib/certvigil/live/www/privkey.pem;
# An endpoint is where it must be seen: only a handshake there proves it served.
#certificate "www" {
#  names = ["example.com", "www.example.com"]
#  hooks = [hook.nginx]
#  endpoint "127.0.0.1:443" {}
#}
