from terminal import tell

tell()
