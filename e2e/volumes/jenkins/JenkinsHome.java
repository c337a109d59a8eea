import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.StandardWatchEventKinds;
import java.nio.file.WatchEvent;
import java.nio.file.WatchKey;
import java.nio.file.WatchService;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import java.util.zip.CRC32;

/**
 * Works on a folder as Jenkins works on its home: a lock on the folder's use,
 * numbered builds with configuration files that are replaced atomically, links
 * to the last build, secrets that only the owner reads, a mapped index, and a
 * watch on what comes and goes.
 *
 * "serve HOME" builds until it is killed and prints "built N" when build N is
 * durable; "contend HOME" says whether another process holds the home.
 */
public class JenkinsHome {
    private static final int INDEX_SLOTS = 1 << 16;

    private final Path home, builds, userContent;
    private final Set<String> seen = new HashSet<>();

    private JenkinsHome(Path home) {
        this.home = home;
        this.builds = home.resolve("jobs/demo/builds");
        this.userContent = home.resolve("userContent");
    }

    public static void main(String[] args) throws Exception {
        JenkinsHome jenkins = new JenkinsHome(Path.of(args[1]));
        switch (args[0]) {
            case "serve" -> jenkins.serve();
            case "contend" -> jenkins.contend();
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    private FileChannel lockFile() throws IOException {
        return FileChannel.open(home.resolve(".lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    }

    private void contend() throws IOException {
        try (FileChannel channel = lockFile(); FileLock lock = channel.tryLock()) {
            System.out.println(lock == null ? "held by another" : "free");
        }
    }

    private void serve() throws Exception {
        try (FileChannel channel = lockFile(); FileLock lock = channel.tryLock();
                WatchService watch = home.getFileSystem().newWatchService()) {
            if (lock == null) {
                throw new IOException("another process uses " + home);
            }
            prepare();
            report();
            for (Path dir : List.of(builds, userContent)) {
                dir.register(watch, StandardWatchEventKinds.ENTRY_CREATE, StandardWatchEventKinds.ENTRY_MODIFY,
                        StandardWatchEventKinds.ENTRY_DELETE);
            }
            System.out.println("serving");
            for (int n = next();; n++) {
                build(n);
                await(watch, "ENTRY_CREATE builds/" + n);
                System.out.println("built " + n);
            }
        }
    }

    private void prepare() throws IOException {
        for (Path dir : List.of(builds, userContent, home.resolve("secrets"))) {
            Files.createDirectories(dir);
        }
        Files.setPosixFilePermissions(home.resolve("secrets"), PosixFilePermissions.fromString("rwx------"));
        Path key = home.resolve("secrets/master.key");
        try {
            Files.createFile(key, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
            Files.writeString(key, "secret");
        } catch (FileAlreadyExistsException e) {
            // of an earlier run
        }
        String mode = PosixFilePermissions.toString(Files.getPosixFilePermissions(key));
        if (!mode.equals("rw-------")) {
            throw new IOException(key + " has mode " + mode);
        }
    }

    /** Reads every build that is there, and says which are whole. */
    private void report() throws IOException {
        List<Integer> found = new ArrayList<>();
        try (DirectoryStream<Path> dirs = Files.newDirectoryStream(builds, "[0-9]*")) {
            for (Path dir : dirs) {
                if (!Files.isSymbolicLink(dir) && Files.exists(dir.resolve("build.xml"))) {
                    int n = Integer.parseInt(dir.getFileName().toString());
                    String xml = Files.readString(dir.resolve("build.xml"));
                    if (!xml.equals(description(n))) {
                        throw new IOException("build " + n + " reads " + xml);
                    }
                    if (!Files.readString(dir.resolve("log")).endsWith("Finished: SUCCESS\n") || indexed(n) != checksum(xml)) {
                        throw new IOException("the log or the index entry of build " + n + " is not whole");
                    }
                    found.add(n);
                }
            }
        }
        for (int n : found) {
            System.out.println("found " + n);
        }
    }

    private int next() throws IOException {
        try {
            return Integer.parseInt(Files.readString(home.resolve("jobs/demo/nextBuildNumber")).trim());
        } catch (NoSuchFileException e) {
            return 1;
        }
    }

    private void build(int n) throws IOException {
        replace(home.resolve("jobs/demo/nextBuildNumber"), (n + 1) + "\n");
        Path dir = Files.createDirectory(builds.resolve(Integer.toString(n)));
        try (FileChannel log = FileChannel.open(dir.resolve("log"), StandardOpenOption.CREATE_NEW, StandardOpenOption.APPEND)) {
            for (String line : List.of("Started by timer\n", "Running in workspace\n", "Finished: SUCCESS\n")) {
                log.write(ByteBuffer.wrap(line.getBytes(StandardCharsets.UTF_8)));
            }
            log.force(true);
        }
        workspace(n);
        index(n, checksum(description(n)));
        replace(dir.resolve("build.xml"), description(n));
        Path link = Files.createSymbolicLink(builds.resolve(".last"), dir.getFileName());
        Files.move(link, builds.resolve("lastSuccessfulBuild"), StandardCopyOption.ATOMIC_MOVE);
        if (!Files.isSameFile(builds.resolve("lastSuccessfulBuild"), dir)) {
            throw new IOException("lastSuccessfulBuild does not lead to build " + n);
        }
        sync(dir);
        sync(builds);
    }

    /** Fills a workspace and deletes it, as a build with a clean checkout does. */
    private void workspace(int n) throws IOException {
        Path workspace = home.resolve("workspace/demo");
        for (int i = 0; i < 5; i++) {
            Path dir = Files.createDirectories(workspace.resolve("src/pkg" + i));
            Files.writeString(dir.resolve("File.java"), "class File {}\n");
            Files.createLink(dir.resolve("Same.java"), dir.resolve("File.java"));
            if (!Files.getAttribute(dir.resolve("File.java"), "unix:nlink", LinkOption.NOFOLLOW_LINKS).equals(2)) {
                throw new IOException("a file with two names has another link count");
            }
        }
        try (Stream<Path> tree = Files.walk(workspace)) {
            for (Path p : tree.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(p);
            }
        }
    }

    /** Replaces a file as Jenkins' AtomicFileWriter does. */
    private static void replace(Path file, String content) throws IOException {
        Path temp = Files.createTempFile(file.getParent(), file.getFileName().toString(), ".tmp");
        try (FileChannel out = FileChannel.open(temp, StandardOpenOption.WRITE)) {
            out.write(ByteBuffer.wrap(content.getBytes(StandardCharsets.UTF_8)));
            out.force(true);
        }
        Files.move(temp, file, StandardCopyOption.ATOMIC_MOVE);
    }

    private static void sync(Path dir) throws IOException {
        try (FileChannel channel = FileChannel.open(dir, StandardOpenOption.READ)) {
            channel.force(true);
        }
    }

    private void index(int n, int value) throws IOException {
        try (FileChannel channel = FileChannel.open(home.resolve("fingerprints.index"), StandardOpenOption.CREATE,
                StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            MappedByteBuffer map = channel.map(FileChannel.MapMode.READ_WRITE, 0, 4L * INDEX_SLOTS);
            map.putInt(4 * (n % INDEX_SLOTS), value);
            map.force();
        }
    }

    private int indexed(int n) throws IOException {
        try (FileChannel channel = FileChannel.open(home.resolve("fingerprints.index"))) {
            return channel.map(FileChannel.MapMode.READ_ONLY, 0, 4L * INDEX_SLOTS).getInt(4 * (n % INDEX_SLOTS));
        }
    }

    private static String description(int n) {
        return "<build><number>" + n + "</number><result>SUCCESS</result>" + "<cause/>".repeat(n % 7) + "</build>\n";
    }

    private static int checksum(String text) {
        CRC32 crc = new CRC32();
        crc.update(text.getBytes(StandardCharsets.UTF_8));
        return (int) crc.getValue();
    }

    /** Waits until the watch has told of an event; tells on of what others add to userContent. */
    private void await(WatchService watch, String wanted) throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
        while (!seen.contains(wanted)) {
            WatchKey key = watch.poll(end - System.nanoTime(), TimeUnit.NANOSECONDS);
            if (key == null) {
                throw new IOException("the watch has not told of: " + wanted);
            }
            Path dir = (Path) key.watchable();
            for (WatchEvent<?> event : key.pollEvents()) {
                String text = event.kind() + " " + dir.getFileName() + "/" + event.context();
                if (seen.add(text) && dir.equals(userContent)) {
                    System.out.println("watched " + text);
                }
            }
            key.reset();
        }
        seen.remove(wanted);
    }
}
