issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {
  listen = [":80", "80", "http://x:80", "[::1]", ":0", ":http", "::1:80", ":80"]
}
solver "http" "empty" {
  listen = []
}
solver "http" "text" {
  listen = ":80"
}
solver "http" "numbers" {
  listen = [80]
}
certificate "www" {
  names  = ["example.com"]
  solver = solver.http.main
}
