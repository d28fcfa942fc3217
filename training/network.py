"""x"""
class Network: pass
