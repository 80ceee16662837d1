"""What SQLAlchemy's dialect suite asks of a dialect: requirements and provisioning."""
