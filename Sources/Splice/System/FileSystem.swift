// File systems, as statfs(2) numbers them. Pure.

/// A file system, by its number.
package struct FileSystem: Sendable, Hashable {
  /// `f_type` of `struct statfs`.
  package let number: UInt32

  /// Its name; nil for one that is not known here.
  package var name: String? { facts?.name }

  /// Whether it is of this machine, where reading what is in memory asks no other machine and no program, as
  /// NFS and FUSE may. One that is not known is taken for foreign.
  package var isLocal: Bool { facts?.isLocal ?? false }

  private var facts: (name: String, isLocal: Bool)? {
    switch number {
    case 0xef53: ("ext4", true)  // and ext2 and ext3
    case 0x5846_5342: ("xfs", true)
    case 0x9123_683e: ("btrfs", true)
    case 0xf2f5_2010: ("f2fs", true)
    case 0x0102_1994: ("tmpfs", true)
    case 0x8584_58f6: ("ramfs", true)
    case 0x794c_7630: ("overlayfs", true)
    case 0x7371_7368: ("squashfs", true)
    case 0xe0f5_e1e2: ("erofs", true)
    case 0xca45_1a4e: ("bcachefs", false)
    case 0x2fc1_2fc1: ("zfs", false)
    case 0x4d44: ("vfat", false)
    case 0x2011_bab0: ("exfat", false)
    case 0x7366_746e: ("ntfs3", false)
    case 0x6969: ("nfs", false)
    case 0xff53_4d42, 0xfe53_4d42: ("smb", false)
    case 0x6573_5546: ("fuse", false)
    case 0x0102_1997: ("9p", false)
    case 0x00c3_6400: ("ceph", false)
    case 0x9fa0: ("proc", false)
    case 0x6265_6572: ("sysfs", false)
    default: nil
    }
  }
}
