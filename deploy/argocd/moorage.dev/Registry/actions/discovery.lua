return {restart = {disabled = false}}
