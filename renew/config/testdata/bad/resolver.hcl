agent { resolver = "dns.example.com:53" }
