solver "http" "main" {}
certificate "www" {
  names = ["example.com"]
}
