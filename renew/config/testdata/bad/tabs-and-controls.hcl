issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
certificate "www" {
	names = ["ok.example",	"bad\u001b[31m name"]
}
# [2J
