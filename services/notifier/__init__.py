"""The notifier: rules over stations, whose alarms reach people."""
