"""Why a request was refused, and what to type at the providers: the doctor's half of the gateway."""
