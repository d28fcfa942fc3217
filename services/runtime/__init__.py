"""What the services share: settings, topics, the faust app, delivery."""
