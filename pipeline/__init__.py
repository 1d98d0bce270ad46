"""What rules and scripts share, free of torch. A package imports only those before it in docs/architecture.md."""
