"""What ``python -m rsa_exp`` starts."""

from rsa_exp.cli.main import main

if __name__ == "__main__":
    main()
