// The system calls of a world: numbers and pointers in, a result or a negative errno out.

#if CSPLICE_SIMULATION
  import CSplice
  import Glibc

  extension csplice_kernel {
    static func simulated(by world: World) -> csplice_kernel {
      var kernel = csplice_kernel()
      kernel.world = Unmanaged.passUnretained(world).toOpaque()
      kernel.now = { World.current.readClock() }
      kernel.splice = { source, _, sink, _, count, _ in World.current.splice(source, sink, count) }
      kernel.read = { World.current.read($0, $1, $2) }
      kernel.write = { World.current.write($0, $1, $2) }
      kernel.recv = { socket, bytes, count, _ in World.current.receive(socket, bytes, count) }
      kernel.send = { socket, bytes, count, _ in
        World.current.send(socket, [UnsafeRawBufferPointer(start: bytes, count: count)])
      }
      kernel.sendmsg = { socket, pieces, count, _ in
        World.current.send(
          socket,
          UnsafeBufferPointer(start: pieces, count: Int(count)).map {
            UnsafeRawBufferPointer(start: $0.iov_base, count: $0.iov_len)
          })
      }
      kernel.pipe2 = { ends, _ in World.current.pipe(ends!) }
      kernel.fcntl_getpipe_sz = { Int32(World.current.the($0, PipeEnd.self).buffer.size) }
      kernel.fcntl_setpipe_sz = { World.current.resizePipe($0, $1) }
      kernel.fcntl_getfl = { _ in O_RDWR | O_NONBLOCK }
      kernel.fcntl_setfl = { _, _ in 0 }
      kernel.ioctl_fionread = { Int32(World.current.the($0, PipeEnd.self).buffer.count) }
      kernel.close = { World.current.close($0) }
      kernel.fstat = { number, result in
        result!.pointee = stat()
        result!.pointee.st_mode = World.current.the(number, File.self).type
        return 0
      }
      kernel.socket = { _, _, _ in World.current.newSocket() }
      kernel.connect = { World.current.connect($0, $1, $2) }
      kernel.bind = { World.current.bind($0, $1, $2) }
      kernel.listen = { number, _ in
        World.current.the(number, Listener.self).listen()
        return 0
      }
      kernel.accept4 = { World.current.accept($0, $1, $2) }
      kernel.getsockname = { World.current.name(of: $0, $1, $2) }
      kernel.getpeername = { World.current.name(of: $0, $1, $2) }
      kernel.getsockopt = { World.current.option($0, $1, $2) }
      kernel.setsockopt = { _, _, _, _ in 0 }
      kernel.setsockopt_linger = { number, resets in
        World.current.the(number, File.self).resetsOnClose = resets
        return 0
      }
      kernel.ioctl_siocoutq = {
        let socket = World.current.the($0, Socket.self)
        return Int32(socket.accepted - socket.read)
      }
      kernel.shutdown = { World.current.shutDown($0, $1) }
      kernel.ppoll = { World.current.poll($0, Int($1), $2) }
      kernel.epoll_create1 = { World.current.open(Epoll(World.current, "epoll")) }
      kernel.epoll_ctl = { World.current.control($0, $1, $2, $3, $4) }
      kernel.epoll_wait = { World.current.wait($0, $1, $2, $3) }
      kernel.eventfd = { World.current.open(Bell(World.current, "eventfd")) }
      kernel.pthread_create = { body, argument in
        World.current.start(body!, argument)
        return 0
      }
      return kernel
    }
  }

  // MARK: - Bytes

  extension World {
    private func say(_ result: Int, _ call: @autoclosure () -> String) -> Int {
      if isTraced {
        note("\(call()) = \(result < 0 ? String(cString: strerror(Int32(-result))) : String(result))")
      }
      return result
    }

    fileprivate func splice(_ source: Int32, _ sink: Int32, _ count: Int) -> Int {
      enter()
      let result: Int
      switch (file(source), file(sink)) {
      case (let socket as Socket, let end as PipeEnd): result = socket.receive(into: end.buffer, upTo: count)
      case (let end as PipeEnd, let socket as Socket): result = socket.send(end.buffer, upTo: count)
      default: fail("splice from \(source) to \(sink)")
      }
      enter(bytes: max(0, result))
      return say(result, "splice(\(source), \(sink), \(count))")
    }

    fileprivate func receive(_ number: Int32, _ bytes: UnsafeMutableRawPointer?, _ count: Int) -> Int {
      enter()
      let socket = the(number, Socket.self)
      received?(socket)
      let result = socket.receive(into: bytes!, upTo: count)
      return say(result, "recv(\(number), \(count))")
    }

    fileprivate func send(_ number: Int32, _ pieces: [UnsafeRawBufferPointer]) -> Int {
      enter()
      let result = the(number, Socket.self).send(pieces)
      return say(result, "send(\(number), \(pieces.reduce(0) { $0 + $1.count }))")
    }

    fileprivate func read(_ number: Int32, _ bytes: UnsafeMutableRawPointer?, _ count: Int) -> Int {
      enter()
      switch file(number) {
      case let bell as Bell:
        guard let value = bell.takeCount() else { return -Int(EAGAIN) }
        bytes!.storeBytes(of: value, as: UInt64.self)
        return 8
      case let end as PipeEnd:
        if end.buffer.slots.isEmpty { return say(-Int(EAGAIN), "read(\(end), \(count))") }
        var done = 0
        while done < count, !end.buffer.slots.isEmpty {
          let piece = end.buffer.take(upTo: count - done)
          piece.copy(into: bytes! + done)
          done += piece.count
        }
        return say(done, "read(\(end), \(count))")
      default: fail("read of \(number)")
      }
    }

    fileprivate func write(_ number: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
      enter()
      switch file(number) {
      case let bell as Bell:
        bell.ring(bytes!.loadUnaligned(as: UInt64.self))
        return 8
      case let end as PipeEnd:
        let result = end.buffer.write(UnsafeRawBufferPointer(start: bytes, count: count))
        return say(result, "write(\(end), \(count))")
      default: fail("write to \(number)")
      }
    }
  }

  // MARK: - Pipes

  extension World {
    fileprivate func pipe(_ ends: UnsafeMutablePointer<Int32>) -> Int32 {
      enter()
      // Past the budget of a user, pipes are made small.
      let buffer = PipeBuffer(size: dice.pick([65536, 65536, 65536, 8192, 4096]))
      let reader = open(PipeEnd(self, buffer, isReader: true), mayFail: true)
      if reader < 0 { return reader }
      (ends[0], ends[1]) = (reader, open(PipeEnd(self, buffer, isReader: false)))
      return 0
    }

    fileprivate func resizePipe(_ number: Int32, _ size: Int32) -> Int32 {
      enter()
      let buffer = the(number, PipeEnd.self).buffer
      if dice.chance(25) { return -EPERM }
      var granted = PipeBuffer.page
      while granted < size { granted *= 2 }
      if granted / PipeBuffer.page < buffer.slots.count { return -EBUSY }
      buffer.size = granted
      return Int32(granted)
    }
  }

  // MARK: - Sockets

  extension World {
    fileprivate func newSocket() -> Int32 {
      enter()
      return open(Socket(self, "socket"), mayFail: true)
    }

    fileprivate func bind(_ number: Int32, _ address: UnsafeRawPointer?, _ length: socklen_t) -> Int32 {
      // It is to listen: what listens is another kind of thing.
      let listener = Listener(self, "listener")
      listener.resetsOnClose = the(number, File.self).resetsOnClose
      listener.address = Array(UnsafeRawBufferPointer(start: address, count: Int(length)))
      replace(number, by: listener)
      return 0
    }

    fileprivate func connect(_ number: Int32, _ address: UnsafeRawPointer?, _ length: socklen_t) -> Int32 {
      enter()
      let socket = the(number, Socket.self)
      let wasKnown = socket.isKnown
      let isFirst = socket.state == .fresh
      if isFirst {
        socket.state = .connecting
        socket.address = Array(UnsafeRawBufferPointer(start: address, count: Int(length)))
        connecting?(socket)
      }
      let errno = isFirst && socket.state == .connecting ? EINPROGRESS : socket.connectAgain()
      if !wasKnown, socket.isKnown { connected?(socket) }
      return Int32(say(-Int(errno), "connect(\(socket))\(isFirst ? "" : " again")"))
    }

    fileprivate func accept(
      _ number: Int32, _ address: UnsafeMutableRawPointer?, _ length: UnsafeMutablePointer<socklen_t>?
    ) -> Int32 {
      enter()
      let listener = the(number, Listener.self)
      if !listener.isListening { return -EINVAL }
      guard !listener.queue.isEmpty else { return Int32(say(-Int(EAGAIN), "accept4(\(listener))")) }
      // A number is taken first, and the client stays where it is when there is none.
      let placeholder = File(self, "accept4")
      let client = open(placeholder, mayFail: true)
      guard client >= 0, let socket = listener.take() else { return client }
      replace(client, by: socket)
      socket.resetsOnClose = listener.resetsOnClose
      listener.onAccept?(socket)
      write(socket.address, address, length)
      return Int32(say(Int(client), "accept4(\(listener)) of \(socket.name)"))
    }

    fileprivate func name(
      of number: Int32, _ address: UnsafeMutableRawPointer?, _ length: UnsafeMutablePointer<socklen_t>?
    ) -> Int32 {
      let file = file(number)
      write((file as? Listener)?.address ?? Self.ownAddress, address, length)
      return 0
    }

    /// 127.0.0.1:80, which is every socket's own address.
    static let ownAddress: [UInt8] = [2, 0, 0, 80, 127, 0, 0, 1] + [UInt8](repeating: 0, count: 8)

    private func write(
      _ value: [UInt8], _ address: UnsafeMutableRawPointer?, _ length: UnsafeMutablePointer<socklen_t>?
    ) {
      memcpy(address!, value, value.count)
      length!.pointee = socklen_t(value.count)
    }

    fileprivate func option(_ number: Int32, _ level: Int32, _ option: Int32) -> Int32 {
      guard level == SOL_SOCKET else { return 0 }
      switch option {
      case SO_ERROR:
        enter()
        return the(number, Socket.self).takeError()
      case SO_DOMAIN: return the(number, Socket.self).isUnix ? AF_UNIX : AF_INET
      case SO_TYPE: return Int32(SOCK_STREAM.rawValue)
      case SO_PROTOCOL: return Int32(IPPROTO_TCP)
      default: return 0
      }
    }

    fileprivate func shutDown(_ number: Int32, _ how: Int32) -> Int32 {
      enter()
      switch file(number) {
      case let listener as Listener:
        listener.shutDown()
        return 0
      case let socket as Socket: return socket.shutDown()
      default: fail("shutdown of \(number)")
      }
    }
  }

  // MARK: - Waiting

  extension World {
    fileprivate func poll(_ descriptors: UnsafeMutablePointer<pollfd>?, _ count: Int, _ time: Int64) -> Int32
    {
      enter()
      guard time == 0 else { fail("ppoll that may wait") }
      var ready: Int32 = 0
      for index in 0..<count {
        let asked = UInt32(UInt16(bitPattern: descriptors![index].events))
        let events = the(descriptors![index].fd, File.self).poll(asked) & (asked | Events.always)
        descriptors![index].revents = Int16(truncatingIfNeeded: events)
        if events != 0 { ready += 1 }
      }
      return ready
    }

    fileprivate func control(
      _ epoll: Int32, _ operation: Int32, _ number: Int32, _ events: UInt32, _ key: UInt64
    ) -> Int32 {
      enter()
      let file = the(number, File.self)
      note("epoll_ctl(\(["", "add", "remove", "modify"][Int(operation)]) \(file), \(Events.text(events)))")
      return the(epoll, Epoll.self).control(operation, file, events, key)
    }

    fileprivate func wait(
      _ epoll: Int32, _ events: UnsafeMutablePointer<csplice_event>?, _ count: Int32, _ milliseconds: Int32
    ) -> Int32 {
      let told = wait(on: the(epoll, Epoll.self), atMost: Int(count), milliseconds: milliseconds)
      for (index, one) in told.enumerated() {
        events![index] = csplice_event(key: one.key, events: one.events)
      }
      return Int32(told.count)
    }
  }
#endif
