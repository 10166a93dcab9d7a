/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd.c - the three functions of libsystemd that czmq calls, for programs that link czmq
 * statically: nobody hands us listening sockets, so the answer is always no. libsystemd itself
 * would bring libgcrypt, lzma, zstd, lz4 and more into every worker: 1.2 MB resident.
 */
int sd_listen_fds(int unset_environment);
int sd_is_socket_inet(int fd, int family, int type, int listening, unsigned short port);
int sd_is_socket_unix(int fd, int type, int listening, const char *path, unsigned long length);

int sd_listen_fds(int unset_environment)
{
    (void)unset_environment;
    return 0;
}

int sd_is_socket_inet(int fd, int family, int type, int listening, unsigned short port)
{
    (void)fd;
    (void)family;
    (void)type;
    (void)listening;
    (void)port;
    return 0;
}

int sd_is_socket_unix(int fd, int type, int listening, const char *path, unsigned long length)
{
    (void)fd;
    (void)type;
    (void)listening;
    (void)path;
    (void)length;
    return 0;
}
