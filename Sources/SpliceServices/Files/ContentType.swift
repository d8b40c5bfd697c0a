// What a file is, by the end of its name.

/// The media type of a file.
enum ContentType {
  /// That of a name, in lower case or not; bytes of no kind where the end is unknown.
  static func of(_ name: some BidirectionalCollection<UInt8>) -> String {
    guard let dot = name.lastIndex(of: UInt8(ascii: ".")), dot != name.startIndex else { return unknown }
    let end = name[name.index(after: dot)...]
    if end.count > 12 { return unknown }
    return types[String(decoding: end, as: UTF8.self).lowercased()] ?? unknown
  }

  private static let unknown = "application/octet-stream"

  /// Text is UTF-8, as it is everywhere now.
  private static let types: [String: String] = {
    var types: [String: String] = [:]
    for line in table.split(separator: "\n") {
      let words = line.split(separator: " ").map(String.init)
      for end in words.dropFirst() { types[end] = words[0].split(separator: "|").joined(separator: "; ") }
    }
    return types
  }()

  private static let table = """
    text/html|charset=utf-8 html htm
    text/css|charset=utf-8 css
    text/javascript|charset=utf-8 js mjs cjs
    text/plain|charset=utf-8 txt text log conf ini md5 sha1 sha256 sha512 diff patch
    text/markdown|charset=utf-8 md markdown
    text/csv|charset=utf-8 csv
    text/tab-separated-values|charset=utf-8 tsv
    text/calendar|charset=utf-8 ics
    text/vcard|charset=utf-8 vcf
    text/vtt|charset=utf-8 vtt
    text/xml|charset=utf-8 xml xsl xsd
    text/x-c|charset=utf-8 c h cc cpp hpp
    text/x-swift|charset=utf-8 swift
    text/x-python|charset=utf-8 py
    text/yaml|charset=utf-8 yaml yml
    application/json json map
    application/jsonl jsonl ndjson
    application/ld+json jsonld
    application/manifest+json webmanifest
    application/toml toml
    application/xhtml+xml xhtml
    application/atom+xml atom
    application/rss+xml rss
    application/wasm wasm
    application/pdf pdf
    application/rtf rtf
    application/epub+zip epub
    application/zip zip
    application/gzip gz tgz
    application/zstd zst
    application/x-bzip2 bz2
    application/x-xz xz
    application/x-tar tar
    application/x-7z-compressed 7z
    application/vnd.rar rar
    application/java-archive jar war
    application/vnd.debian.binary-package deb udeb
    application/x-rpm rpm
    application/x-iso9660-image iso
    application/x-sh sh
    application/sql sql
    application/x-sqlite3 sqlite sqlite3
    application/msword doc
    application/vnd.ms-excel xls
    application/vnd.ms-powerpoint ppt
    application/vnd.openxmlformats-officedocument.wordprocessingml.document docx
    application/vnd.openxmlformats-officedocument.spreadsheetml.sheet xlsx
    application/vnd.openxmlformats-officedocument.presentationml.presentation pptx
    application/vnd.oasis.opendocument.text odt
    application/vnd.oasis.opendocument.spreadsheet ods
    application/vnd.oasis.opendocument.presentation odp
    application/vnd.apple.mpegurl m3u8
    application/dash+xml mpd
    audio/mpeg mp3
    audio/mp4 m4a
    audio/aac aac
    audio/ogg ogg oga opus
    audio/flac flac
    audio/wav wav
    audio/webm weba
    audio/midi mid midi
    font/ttf ttf
    font/otf otf
    font/woff woff
    font/woff2 woff2
    image/png png apng
    image/jpeg jpg jpeg jfif
    image/gif gif
    image/webp webp
    image/avif avif
    image/heic heic
    image/jxl jxl
    image/bmp bmp
    image/tiff tif tiff
    image/svg+xml svg
    image/x-icon ico
    video/mp4 mp4 m4v
    video/mpeg mpeg mpg
    video/mp2t ts m2ts
    video/iso.segment m4s
    video/webm webm
    video/ogg ogv
    video/quicktime mov
    video/x-matroska mkv
    video/x-msvideo avi
    """
}
