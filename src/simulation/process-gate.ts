/**
 * A process's view of its machine's disk and base files: what they answer reaches the process through its clock's gate, so that a paused process
 * hears it later and a dead one never.
 */
import type { BaseFile, BaseFileStore, BaseImage, BaseInstall } from '../ports/base-file.ts'
import type { Disk, DiskFile } from '../ports/disk.ts'
import type { SimClock } from './sim-clock.ts'

export function gateDisk(disk: Disk, clock: SimClock): Disk {
  return {
    open: (path, mode, done) =>
      disk.open(path, mode, (error, file) =>
        clock.deliver(() => done(error, file === null ? null : gateFile(file, clock))),
      ),
    list: (directory, done) => disk.list(directory, (error, names) => clock.deliver(() => done(error, names))),
    makeDirectory: (path, done) => disk.makeDirectory(path, (error) => clock.deliver(() => done(error))),
    rename: (from, to, done) => disk.rename(from, to, (error) => clock.deliver(() => done(error))),
    remove: (path, done) => disk.remove(path, (error) => clock.deliver(() => done(error))),
    removeTree: (path, done) => disk.removeTree(path, (error) => clock.deliver(() => done(error))),
    syncDirectory: (path, done) => disk.syncDirectory(path, (error) => clock.deliver(() => done(error))),
  }
}

function gateFile(file: DiskFile, clock: SimClock): DiskFile {
  return {
    path: file.path,
    read: (offset, length, done) =>
      file.read(offset, length, (error, bytes) => clock.deliver(() => done(error, bytes))),
    write: (offset, bytes, done) => file.write(offset, bytes, (error) => clock.deliver(() => done(error))),
    sync: (done) => file.sync((error) => clock.deliver(() => done(error))),
    size: (done) => file.size((error, sizeBytes) => clock.deliver(() => done(error, sizeBytes))),
    close: (done) => file.close((error) => clock.deliver(() => done(error))),
  }
}

export function gateBaseFiles(files: BaseFileStore, clock: SimClock): BaseFileStore {
  return {
    open: (path, directory, done) =>
      files.open(path, directory, (error, base) =>
        clock.deliver(() => done(error, base === null ? null : gateBase(base, clock))),
      ),
    install: (path, directory, done) =>
      files.install(path, directory, (error, install) =>
        clock.deliver(() => done(error, install === null ? null : gateInstall(install, clock))),
      ),
    removeOthers: (path, keep, done) => files.removeOthers(path, keep, (error) => clock.deliver(() => done(error))),
  }
}

function gateBase(base: BaseFile, clock: SimClock): BaseFile {
  return {
    meta: () => base.meta(),
    get: (key) => base.get(key),
    range: (from, to, limit, visit) => base.range(from, to, limit, visit),
    commitSorted: (run, meta, done) => base.commitSorted(run, meta, (error) => clock.deliver(() => done(error))),
    keyCount: (prefix) => base.keyCount(prefix),
    refresh: () => base.refresh(),
    image: (done) =>
      base.image((error, image) => clock.deliver(() => done(error, image === null ? null : gateImage(image, clock)))),
    sizeBytes: () => base.sizeBytes(),
    close: (done) => base.close(() => clock.deliver(done)),
  }
}

function gateImage(image: BaseImage, clock: SimClock): BaseImage {
  return {
    sizeBytes: image.sizeBytes,
    read: (offset, length, done) =>
      image.read(offset, length, (error, bytes) => clock.deliver(() => done(error, bytes))),
    close: () => image.close(),
  }
}

function gateInstall(install: BaseInstall, clock: SimClock): BaseInstall {
  return {
    write: (offset, bytes, done) => install.write(offset, bytes, (error) => clock.deliver(() => done(error))),
    finish: (sizeBytes, crc, done) => install.finish(sizeBytes, crc, (error) => clock.deliver(() => done(error))),
    abort: () => install.abort(),
  }
}
