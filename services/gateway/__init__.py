"""The page and the API: what the topics say, for people and programs that speak HTTP."""
